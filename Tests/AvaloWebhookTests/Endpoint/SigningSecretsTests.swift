import AvaloTesting
import Glibc
import Testing

@testable import AvaloWebhook

@Suite struct SigningSecretsTests {
  /// The example of the Standard Webhooks specification, which any library of it agrees with.
  @Test func signsAsStandardWebhooksDoes() throws {
    let secrets = try SigningSecrets(["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"])
    let signature = secrets.signature(
      id: "msg_p5jXN8AQM9LWM0D4loKWxJek", seconds: 1_614_265_330, body: Array(#"{"test": 2432232314}"#.utf8))
    #expect(signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")
  }

  @Test func signsWithEachSecretWhileOneIsExchanged() throws {
    let old = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    let new = "whsec_" + String(repeating: "AAAA", count: 16)
    func signature(_ lines: String...) throws -> String {
      try SigningSecrets(lines).signature(id: "evt_1_2", seconds: 3, body: [0x7B, 0x7D])
    }
    #expect(try signature(new, old) == "\(try signature(new)) \(try signature(old))")
  }

  @Test(arguments: [
    "", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_", "whsec_c2hvcnQ=", "whsec_not base64 at all, but long enough",
  ]) func refusesWhatIsNoSecret(line: String) {
    #expect(throws: WebhookSecretError.self) { try SigningSecrets([line]) }
  }

  @Test func readsAFileThatOthersCannotRead() throws {
    let folder = TestFolder()
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    let path = try folder.write("\(secret)\n\(secret)\n", to: "webhook.secret")
    func message() -> String? {
      do {
        _ = try SigningSecrets.read(path)
        return nil
      } catch { return "\(error)" }
    }
    for mode in [0o600, 0o400, 0o640] as [mode_t] {
      chmod(path, mode)
      #expect(message() == nil)
    }
    for mode in [0o644, 0o660, 0o604, 0o602] as [mode_t] {
      chmod(path, mode)
      #expect(message()?.hasPrefix("\(path): others may read or write it") == true)
    }
    chmod(path, 0o600)
    try folder.write("", to: "webhook.secret")
    #expect(message() == "\(path): holds no secret")
    try folder.write(String(repeating: "\(secret)\n", count: 5), to: "webhook.secret")
    #expect(message() == "\(path): holds more than 4 secrets")
    unlink(path)
    #expect(message()?.contains("No such file") == true)
  }
}
