"""Tocsin: hears monitors, judges what they say, and wakes a person only when it must."""

from __future__ import annotations

__version__ = "0.1.0"
