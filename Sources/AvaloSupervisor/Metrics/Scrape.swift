import AvaloSystem
import Logging

/// One worker's page, or why there is none.
struct ScrapedPage: Sendable {
  var id: InstanceID
  var result: Result<Exposition, any Error>
  var seconds: Double
}

// Scrape: the pages of all instances at once, each within its time.
extension Supervisor {
  /// - `workers`: names; `nil` for all.
  func scrape(workers: [String]? = nil) async -> [ScrapedPage] {
    // One that does not serve would keep us waiting for nothing.
    let targets = ordered.filter { instance in
      instance.manifest.metrics && (instance.state.isUp || instance.isSendingAway)
        && workers?.contains(instance.id.worker) ?? true
    }.map { (id: $0.id, socket: SocketTable.metricsPath(configuration, $0.id.worker, $0.id.slot)) }
    let clock = clock
    let pages = await withTaskGroup(of: ScrapedPage.self) { group in
      for target in targets {
        group.addTask {
          let start = clock.now
          let result: Result<Exposition, any Error>
          do {
            let answer = try await HTTPClient.get(
              unixSocket: target.socket, path: "/metrics", timeout: SupervisorLimits.scrapeTimeout,
              bodyBytesMax: SupervisorLimits.scrapeBytesMax)
            guard answer.status == 200 else { throw ScrapeError(status: answer.status) }
            result = .success(try Exposition(answer.body))
          } catch {
            result = .failure(error)
          }
          return ScrapedPage(id: target.id, result: result, seconds: (clock.now - start).inSeconds)
        }
      }
      var pages: [ScrapedPage] = []
      for await page in group { pages.append(page) }
      return pages
    }
    for page in pages {
      guard case .failure(let error) = page.result else { continue }
      log.info("worker's metrics are missing", metadata: ["worker": "\(page.id)", "error": "\(error)"])
    }
    return pages.sorted { $0.id < $1.id }
  }
}

struct ScrapeError: Error, CustomStringConvertible {
  var status: Int
  var description: String { "its answer to GET /metrics was \(status)" }
}
