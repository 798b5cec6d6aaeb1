import AvaloWorker

await WorkerMain.run(TestWorker.self)
