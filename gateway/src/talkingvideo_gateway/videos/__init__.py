"""Videos as the gateway knows them: the object, requests, what stands behind, and the one service that dialects call."""
