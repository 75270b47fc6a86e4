"""Seeing inside a running system."""
