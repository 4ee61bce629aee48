"""What the real bamboo-engine did, case by case, against what stdops does."""
