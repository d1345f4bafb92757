"""A collection as a map: places in the plane, regions with names, and how both are kept beside the vectors."""
