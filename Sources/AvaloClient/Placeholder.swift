// AvaloClient
