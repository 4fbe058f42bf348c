SELECT digest, bytes FROM objects
