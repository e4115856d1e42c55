"""Who may let a plan run: a person, for exactly this plan and its inputs, or a policy that the person wrote."""
