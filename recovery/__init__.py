"""What a disruption costs: the time and the data, as sums of terms that are read from rendered templates."""
