"""`python -m zoostore` is the command line."""

from zoostore.cli.process import main

if __name__ == "__main__":
    main()
