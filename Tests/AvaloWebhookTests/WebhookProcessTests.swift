import AvaloTesting
import Glibc
import Testing

/// The worker's own process.
@Suite struct WebhookProcessTests {
  private func check(_ settings: String, in folder: TestFolder) async throws -> (TestProcess.Ending, String) {
    var variables = TestProcess.plainEnvironment
    variables["AVALO_SETTINGS"] = try folder.write(settings, to: "settings.json")
    variables["AVALO_CONFIG_DIR"] = folder.path
    let process = try await TestProcess.start(
      TestPaths.executable("avalo-webhook"), ["--check"], environment: variables)
    return (try await process.ending(within: .seconds(60)), process.output)
  }

  @Test func saysWhatIsWrongWithItsSettingsAndTheSecret() async throws {
    let folder = TestFolder()
    let settings = #"{"url": "https://api.example.com/events", "secret_file": "webhook.secret"}"#
    let (missing, output) = try await check(settings, in: folder)
    #expect(missing == .exit(78) && output.hasPrefix("secret_file\t\(folder.path)/webhook.secret: "), "\(output)")

    let secret = try folder.write("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n", to: "webhook.secret")
    chmod(secret, 0o644)
    #expect(try await check(settings, in: folder).1.contains("others may read or write it; chmod 0600"))
    chmod(secret, 0o600)
    #expect(try await check(settings, in: folder) == (.exit(0), ""))
    let plain = try await check(#"{"url": "http://api.example.com/", "secret_file": "webhook.secret"}"#, in: folder)
    #expect(plain.0 == .exit(78) && plain.1.hasPrefix("url\texpected a URL"), "\(plain.1)")
  }

  @Test func isReadyWithoutAnyNeighbour() async throws {
    let folder = TestFolder()
    let secret = try folder.write("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n", to: "webhook.secret")
    chmod(secret, 0o600)
    let worker = try await WorkerProcess.start(
      "avalo-webhook", settings: #"{"url": "http://127.0.0.1:1/events", "secret_file": "webhook.secret"}"#,
      watchdog: .seconds(5), in: folder)
    #expect(try await worker.metric("avalo_webhook_sent_total") == 0)
    #expect(try await worker.metric(#"avalo_webhook_failed_total{reason="unavailable"}"#) == 0)
    #expect(try await worker.process.stop() == .exit(0))
  }
}
