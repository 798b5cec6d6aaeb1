import AvaloPresence
import AvaloWorker

await WorkerMain.run(Presence.self)
