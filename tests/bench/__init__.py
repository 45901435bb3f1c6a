"""Tests of what the benchmark says about its figures."""
