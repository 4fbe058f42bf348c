-- What the files are now. One that is new to the run becomes one of its.
UPDATE sources SET digest = n.digest, bytes = n.bytes, format = n.format, columns = n.columns
FROM sources n WHERE n.execution_id = ?2 AND sources.execution_id = ?4 AND n.path = sources.path
