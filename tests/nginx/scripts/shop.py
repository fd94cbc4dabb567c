from locust import HttpUser, constant, task


class Buyer(HttpUser):
    host = "http://127.0.0.1:PORT"
    wait_time = constant(0.02)

    @task(2)
    def browse(self):
        self.client.get("/product/17", params={"q": "tea & milk"}, headers={"X-Shop": "locust"})

    @task
    def buy(self):
        token = self.client.post("/login", json={"user": "ada", "age": 36}).json()["token"]
        self.client.post(
            "/order",
            data={"cart": token, "note": "a & b"},
            headers={"X-Shop": "locust"},
        )
        self.client.delete(f"/cart/{token}")
