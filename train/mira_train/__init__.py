"""The workshop: data sets, synthesis, networks, training and evaluation (extra ``[train]``)."""
