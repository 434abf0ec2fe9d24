"""CCNN, whole: nets and cascade, face lists and crops, loss, metric, training, figures."""
