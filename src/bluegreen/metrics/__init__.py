"""Where readings come from. Nothing here judges them: that is ``domain.judgement``."""
