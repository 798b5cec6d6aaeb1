import AvaloScheduler
import AvaloWorker

await WorkerMain.run(Scheduler.self)
