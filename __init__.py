"""Askfirst answers from your documents and data, and asks first before it changes anything."""
