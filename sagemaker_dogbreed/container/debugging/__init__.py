"""What a training is watched by: records of its steps and its machine, and rules that judge them."""
