"""What zoostore asks of a file system: staging, stamps, links, and careful walks."""
