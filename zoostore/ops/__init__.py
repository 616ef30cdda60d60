"""What a store can do: one module for each verb, over small protocols."""
