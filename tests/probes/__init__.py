"""Probes at real servers, processes and disks; the guarded way out; the loop that keeps probes looking."""
