"""Who and what there is: people, teams, services and what they need. Says nothing about alerts or paging order."""
