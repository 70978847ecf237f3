"""JSON Schemas that people write (draft 2020-12), used by the service and by front ends alike: no look-up of anything
outside of a schema, and patterns that are matched in linear time."""
