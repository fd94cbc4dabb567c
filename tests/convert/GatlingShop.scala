package shop

import scala.concurrent.duration._

import io.gatling.core.Predef._
import io.gatling.http.Predef._

/** Searches and orders, with the data of a company of partners. */
object Search {

  private val feeder = csv("searches.csv").circular

  val search = exec(http("Home").get("/"))
    .pause(7)
    .feed(feeder)
    .exec(
      http("Search")
        .get("/search?q=#{term}")
        .check(
          status.is(200),
          jsonPath("$.items[*].id").find.saveAs("productId"),
          jsonPath("$.items[*].id").findAll.saveAs("all")
        )
    )
    .pause(500 milliseconds, 2 seconds)
}

class GatlingShop extends Simulation {

  private val host = sys.env.getOrElse("SHOP", "127.0.0.1:8080")
  private val users = 30
  private def path(of: String) = s"/product/$of?tax=${users / 10}"

  val httpProtocol = http
    .baseUrl(s"http://$host")
    .acceptHeader("application/json")
    .authorizationHeader("Bearer hush")
    .disableFollowRedirect
    .check(header("Content-Type").is("application/json"))

  val headers = Map(
    "X-Requested-With" -> "XMLHttpRequest",
    "X-Api-Key" -> "hush-key"
  )

  val order = exec(
    http("Order")
      .post("/order")
      .headers(headers)
      .body(StringBody("""{"product": "${productId}", "quantity": 2}"""))
      .asJson
      .check(status.in(200 to 204), jsonPath("$.id").saveAs("orderId"))
  ).exec { session =>
    val total = session("total").as[Int]
    session.set("total", total + 1)
  }

  val browse = repeat(25, "i") {
    exec(http("Product #{i}").get(path("#{i}")).check(status.is(200)))
      .pause(1.second)
  }

  val scn = scenario("Buyers")
    .exec(Search.search, browse)
    .doIf("#{productId.exists()}") {
      exec(order)
    }
    .randomSwitch(
      20.0 -> exec(http("Wish").put("/wish/#{productId}")),
      50.0 -> exec(http("Share").post("/share").formParam("to", "bob").formParam("card_token", "hush"))
    )
    .exitBlockOnFail {
      exec(http("Pay").post("/pay/#{orderId}"))
    }
    .foreach(Seq("tea", "mug"), "kind") {
      exec(http("Offers").get("/offers/#{kind}"))
    }
    .asLongAs(session => session("more").as[Boolean]) {
      exec(http("More").get("/more"))
    }
    .exec(ws("Connect").connect("/events"))

  val admins = scenario("Admins").exec(http("Report").get("/report").basicAuth("root", "hush"))

  before {
    println("it begins")
  }

  setUp(
    scn.inject(
      rampUsers(users) during (1 minute),
      constantUsersPerSec(5) during (2 minutes) randomized
    ),
    admins.inject(rampConcurrentUsers(0) to 5 during 30.seconds, constantConcurrentUsers(5) during 60)
  ).protocols(httpProtocol)
    .maxDuration(2.minutes)
    .assertions(
      global.responseTime.percentile4.lt(1500),
      global.failedRequests.percent.lte(0.5),
      details("Order").responseTime.mean.lt(300)
    )
}
