"""Builders, fakes and strategies that the tests share."""
