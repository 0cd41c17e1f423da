"""What a graph is: endpoints declared as values and bound to the fields of Strawberry types."""
