// AvaloSystem
