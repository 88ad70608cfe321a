"""Why a training came out as it did: what is known of it, and the causes that this shows."""
