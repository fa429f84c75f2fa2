"""Where S3 objects are: one interface, a store that is a folder of this machine, and Amazon S3 itself."""
