"""Who is next, and when: policies, their steps, and the decision what a due incident does now. Sends nothing."""
