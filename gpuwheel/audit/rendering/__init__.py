"""What an audit found and what a wheel holds, as people and machines read it."""
