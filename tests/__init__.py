"""Tests of stdops."""
