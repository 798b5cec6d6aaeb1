import AvaloGateway
import AvaloWorker

await WorkerMain.run(Gateway.self)
