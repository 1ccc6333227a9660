"""The words of the design as frozen types and pure rules; standard library only."""
