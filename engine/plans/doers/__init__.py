"""How one attempt at a step is made, a doer for each kind of step; and the programs that steps run."""
