"""What answers the demo's faults: copied into its plan as they stand."""
