"""One module per layer: resources that live, change and are owned together."""
