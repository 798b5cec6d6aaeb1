// AvaloReactor
