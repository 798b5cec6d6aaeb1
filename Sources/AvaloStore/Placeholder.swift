// AvaloStore
