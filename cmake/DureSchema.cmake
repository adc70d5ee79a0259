# dure_schema(TARGET file.dure): filled in with the generator.
