"""Workloads made from seeds, and zoostore beside its peers on them."""
