"""Running the steps of a graph as soon as what they wait for is done. Nothing here knows what a step is."""
