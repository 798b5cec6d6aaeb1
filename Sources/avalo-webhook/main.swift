import AvaloWebhook
import AvaloWorker

await WorkerMain.run(Webhook.self)
