// AvaloScheduler
