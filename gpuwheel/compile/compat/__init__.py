"""Existing extensions on torch's stable C ABI: headers that stand in for torch's, and the Python module in front."""
