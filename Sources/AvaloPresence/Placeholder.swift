// AvaloPresence
