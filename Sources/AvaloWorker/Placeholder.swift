// AvaloWorker
